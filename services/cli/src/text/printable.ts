/**
 * Text from elsewhere as it may be shown on a terminal: control characters, which could move the cursor or hide text, and
 * characters that reverse the direction of writing are written as \xNN or \uNNNN. Line breaks too, unless `lines` is true.
 */
export function printable(text: string, { lines = false }: { readonly lines?: boolean } = {}): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    if (lines && character === '\n') return character;
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
