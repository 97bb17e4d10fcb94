/** What a piece of text tells, for its colour. */
export type Tone = 'good' | 'warn' | 'bad' | 'faint' | 'strong' | 'plain';

/** Colours a text for the terminal, or leaves it as it is. */
export type Paint = (text: string, tone: Tone) => string;

const codes: Readonly<Record<Tone, string>> = { good: '32', warn: '33', bad: '31', faint: '2', strong: '1', plain: '' };

export const noPaint: Paint = (text) => text;

const ansiPaint: Paint = (text, tone) => (codes[tone] === '' ? text : `\u001b[${codes[tone]}m${text}\u001b[0m`);

/** Colour only for people: on a terminal that has it, and not if NO_COLOR says otherwise (https://no-color.org). */
export function paintFor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Paint {
  const refused = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb';
  return isTerminal && !refused ? ansiPaint : noPaint;
}
