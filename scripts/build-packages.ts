// npm run build: writes to dist/ (or the directory that is given) what runs without the sources: JavaScript, the addon, the packages
// it needs and the pinned Node. The directory can be moved; dist/services/cli/bin/mcfleet starts it.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { runtimeDependencies } from './runtime-dependencies.ts';

const ROOT = join(import.meta.dirname, '..');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly exports?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What runs: the workspaces without the tests. */
const WORKSPACES = ['proto', 'native', ...globSync('services/*', { cwd: ROOT }).sort()];

/** Files beside the JavaScript. */
const ASSETS = [
  'LICENSE',
  'proto/gen/descriptors.binpb',
  'proto/{mcfleet,third_party}/**/*.proto',
  'native/build/Release/mcfleet.node',
  'services/cli/bin/mcfleet',
  'services/*/src/**/*.{json,sql,md}',
];

function build(out: string): void {
  rmSync(out, { recursive: true, force: true });
  emitJavaScript(out);
  for (const path of globSync(ASSETS, { cwd: ROOT })) copy(path, out);
  const manifests = WORKSPACES.map((workspace) => [workspace, readManifest(workspace)] as const);
  for (const [workspace, manifest] of manifests) writeManifest(workspace, manifest, out);
  const { version, license } = readManifest('.');
  writeJson(join(out, 'package.json'), { name: 'mcfleet-dist', version, license, private: true, type: 'module' });

  const names = new Set(manifests.map(([, { name }]) => name));
  for (const [workspace, { name }] of manifests) linkPackage(name, join(out, workspace), out);
  const roots = WORKSPACES.map((workspace) => join(ROOT, workspace));
  for (const directory of runtimeDependencies(roots, (name) => names.has(name))) {
    cpSync(directory, join(out, relative(ROOT, directory)), { recursive: true, dereference: true });
  }
  copyNode(out);
}

function emitJavaScript(out: string): void {
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const { status } = spawnSync(tsc, ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', out], { stdio: 'inherit' });
  if (status !== 0) throw new Error('tsc found errors');
}

function readManifest(workspace: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, workspace, 'package.json'), 'utf8')) as Manifest;
}

function writeManifest(workspace: string, manifest: Manifest, out: string): void {
  const { name, version, license, exports: sources, bin, dependencies } = manifest;
  const entries = Object.entries(sources ?? {}).map(([key, path]) => [key, path.replace(/\.ts$/, '.js')]);
  const exports = sources && Object.fromEntries(entries);
  const emitted = { name, version, license, private: true, type: 'module', exports, bin, dependencies };
  writeJson(join(out, workspace, 'package.json'), emitted);
}

function linkPackage(name: string, directory: string, out: string): void {
  const link = join(out, 'node_modules', name);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(relative(dirname(link), directory), link);
}

/** The launcher looks for it at this place. */
function copyNode(out: string): void {
  const target = join(out, 'node_modules/.bin/node');
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(process.execPath, target);
}

function copy(path: string, out: string): void {
  const target = join(out, path);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(join(ROOT, path), target);
}

function writeJson(path: string, value: object): void {
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

const out = resolve(process.argv[2] ?? join(ROOT, 'dist'));
build(out);
console.log(`built ${out}`);
