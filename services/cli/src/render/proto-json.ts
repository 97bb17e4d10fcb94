import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
// For the details of errors: google.protobuf.Any is decoded by the types that are registered.
import '@mcfleet/proto/google/rpc/error_details';
import { Any } from '@mcfleet/proto/google/protobuf/any';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FileDescriptorSet,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@mcfleet/proto/google/protobuf/descriptor';
import { Duration } from '@mcfleet/proto/google/protobuf/duration';
import { messageTypeRegistry } from '@mcfleet/proto/typeRegistry';

type Fields = Readonly<Record<string, unknown>>;

interface Types {
  readonly messages: ReadonlyMap<string, DescriptorProto>;
  readonly enums: ReadonlyMap<string, EnumDescriptorProto>;
}

let types: Types | undefined;

/**
 * A message as canonical ProtoJSON (https://protobuf.dev/programming-guides/json), the same that grpcurl prints: by the
 * descriptors, because the generated toJSON writes Duration as an object, Timestamp always with milliseconds, and enum values
 * that it does not know without their number.
 *
 * @param typeName full name of the message's type: "mcfleet.v1.Relay"
 */
export function protoJson(typeName: string, message: unknown): unknown {
  types ??= loadTypes();
  switch (typeName) {
    case 'google.protobuf.Timestamp':
      return timestampJson(message as Date);
    case 'google.protobuf.Duration':
      return durationJson(message as Duration);
    case 'google.protobuf.FieldMask':
      return (message as string[]).map(camel).join(',');
    case Any.$type:
      return anyJson(message as Any);
  }
  const descriptor = types.messages.get(typeName);
  if (descriptor === undefined) throw new Error(`no descriptor for ${typeName}`);
  const json: Record<string, unknown> = {};
  // In the order of the field numbers, as grpcurl prints them.
  for (const field of [...descriptor.field].sort((a, b) => (a.number ?? 0) - (b.number ?? 0))) {
    const name = field.jsonName || camel(field.name ?? '');
    const { value, hasPresence } = fieldValue(descriptor, field, name, message as Fields);
    if (value === undefined || (!hasPresence && isZero(value))) continue;
    const written = fieldJson(field, value, types);
    if (written !== undefined) json[name] = written;
  }
  return json;
}

/** JSON as Go's encoder writes it, and so grpcurl: also what HTML and JavaScript could take for something else is escaped. */
export function jsonText(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function loadTypes(): Types {
  const messages = new Map<string, DescriptorProto>();
  const enums = new Map<string, EnumDescriptorProto>();
  const addMessage = (scope: string, message: DescriptorProto): void => {
    const name = `${scope}.${message.name}`;
    messages.set(name, message);
    for (const inner of message.nestedType) addMessage(name, inner);
    for (const inner of message.enumType) enums.set(`${name}.${inner.name}`, inner);
  };
  const path = fileURLToPath(import.meta.resolve('@mcfleet/proto/descriptors.binpb'));
  for (const file of FileDescriptorSet.decode(readFileSync(path)).file) {
    for (const message of file.messageType) addMessage(file.package ?? '', message);
    for (const one of file.enumType) enums.set(`${file.package}.${one.name}`, one);
  }
  return { messages, enums };
}

interface FieldValue {
  readonly value: unknown;
  /** True if zero, when set, is not the same as not set. */
  readonly hasPresence: boolean;
}

/**
 * The value of a field in the generated shape, where the one of a oneof is `{ $case, value }` below the oneof's name. (Whether a
 * field belongs to a oneof cannot be told by its oneofIndex: the generated descriptor gives 0 also where there is none.)
 */
function fieldValue(
  descriptor: DescriptorProto,
  field: FieldDescriptorProto,
  name: string,
  message: Fields,
): FieldValue {
  if (Object.hasOwn(message, name)) return { value: message[name], hasPresence: field.proto3Optional === true };
  for (const { name: oneofName } of descriptor.oneofDecl) {
    const chosen = message[camel(oneofName ?? '')] as { readonly $case: string; readonly value: unknown } | undefined;
    if (chosen?.$case === name) return { value: chosen.value, hasPresence: true };
  }
  return { value: undefined, hasPresence: false };
}

/** Undefined if there is nothing in the list or map. */
function fieldJson(field: FieldDescriptorProto, value: unknown, { messages }: Types): unknown {
  if (field.label !== Label.REPEATED) return singleJson(field, value);
  const entry = field.type === Type.MESSAGE ? messages.get((field.typeName ?? '').replace(/^\./, '')) : undefined;
  if (entry?.options?.mapEntry === true) return mapJson(entry, value as Fields);
  const items = value as readonly unknown[];
  return items.length === 0 ? undefined : items.map((item) => singleJson(field, item));
}

function mapJson(entry: DescriptorProto, value: Fields): unknown {
  const valueField = entry.field.find(({ number }) => number === 2);
  if (valueField === undefined) return undefined;
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0
    ? undefined
    : Object.fromEntries(pairs.map(([key, item]) => [key, singleJson(valueField, item)]));
}

function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === '' || value === 0 || value === 0n || value === false;
}

function singleJson(field: FieldDescriptorProto, value: unknown): unknown {
  const typeName = (field.typeName ?? '').replace(/^\./, '');
  if (field.type === Type.MESSAGE) return protoJson(typeName, value);
  if (field.type === Type.ENUM) {
    const known = types?.enums.get(typeName)?.value.find(({ number }) => number === value);
    return known?.name ?? value;
  }
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value;
}

/** RFC 3339 in UTC with no, 3, 6 or 9 digits of a second. A Date has milliseconds. */
function timestampJson(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}

/** "1.500s": seconds with no, 3, 6 or 9 digits. */
function durationJson({ seconds, nanos }: Duration): string {
  const negative = seconds < 0n || nanos < 0;
  const whole = seconds < 0n ? -seconds : seconds;
  const digits = String(Math.abs(nanos)).padStart(9, '0');
  const fraction = nanos === 0 ? '' : `.${digits.replace(/(000){1,2}$/, '')}`;
  return `${negative ? '-' : ''}${whole}${fraction}s`;
}

function anyJson({ typeUrl, value }: Any): unknown {
  const typeName = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  const type = messageTypeRegistry.get(typeName);
  if (type === undefined || types?.messages.has(typeName) !== true) {
    return { '@type': typeUrl, '@value': Buffer.from(value).toString('base64') };
  }
  const decoded = protoJson(typeName, type.decode(value));
  return typeName === Duration.$type
    ? { '@type': typeUrl, value: decoded }
    : { '@type': typeUrl, ...(decoded as object) };
}

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
