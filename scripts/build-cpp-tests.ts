// Builds what the C++ tests need, as far as it can be built: what cannot is told, and counted, by the tests themselves.
import { buildCppTests } from './cpp-tests.ts';
import { missingCmake } from './ctest.ts';
import { buildThreadTests, findThreadSanitizer } from './thread-tests.ts';

if (missingCmake() === undefined) {
  const cpp = buildCppTests();
  const threads = !('prefix' in findThreadSanitizer(process.env.CXX ?? 'c++')) || buildThreadTests();
  process.exitCode = cpp && threads ? 0 : 1;
}
