import { expect, test } from 'vitest';
import { readJunit } from './ctest.ts';

test('passed, failed and not run are told apart', () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="Linux-c++"
	tests="4"
	failures="1"
	disabled="1"
	skipped="1"
	hostname=""
	time="0"
	>
	<testcase name="checksum_test" classname="checksum_test" time="0.1" status="run"/>
	<testcase name="ring_test" classname="ring_test" time="0.1" status="fail"><failure message=""/></testcase>
	<testcase name="tx_test" classname="tx_test" time="0" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
	<testcase name="old_test" classname="old_test" time="0" status="disabled"><skipped message="Disabled"/></testcase>
</testsuite>`;
  expect(readJunit(xml)).toEqual({
    passed: 1,
    failed: 1,
    skipped: [
      { name: 'native/tx_test', reason: 'SKIP_RETURN_CODE=77' },
      { name: 'native/old_test', reason: 'Disabled' },
    ],
  });
});

test('no result is no success', () => {
  expect(() => readJunit('<x/>')).toThrow('no <testsuite>');
});
