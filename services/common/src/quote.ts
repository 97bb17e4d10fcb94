/** Characters of a quoted text at most; more is cut, as the text may be as large as a message. */
const MAX_LENGTH = 64;

/**
 * Text of a caller as an error shows it: in double quotes, cut to 64 characters, and on one line that no terminal acts upon.
 * Control characters, and characters that reverse the direction of writing, are written as \n or \uNNNN.
 */
export function quote(text: string): string {
  const shown = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH).toWellFormed()}…` : text;
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
