const isTerminal = process.stdout.isTTY
/** No line of the output is longer. */
const LINE_WIDTH = 100
const SHOWN_OF_A_HASH = 12
const HASH_OR_TOKEN = /\b[\da-f]{40,}\b|\b[\da-f]{12}(?:\.[\w-]{40,}){2}|(?<=sha256\/\/)[\w+/]{43}=/g

function paint(code: string, text: string): string {
  return isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text
}

/** Begins a step: what it shows, and the lines that do the same by hand; `goOn` breaks a long one. */
export function heading(number: number, title: string, byHand: readonly string[]): void {
  say(`\n${paint('1;36', `${number}. ${title}`)}`)
  for (const line of byHand) say(paint('2', `   $ ${line}`))
}

/** Parts of a long line for a shell, each on a line of its own. */
export function goOn(...parts: readonly string[]): string {
  return parts.join(' \\\n       ')
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function result(isGood: boolean, text: string): void {
  const [first = '', ...more] = wrapped(shortened(text), LINE_WIDTH - 5)
  say([`   ${isGood ? paint('32', '✓') : paint('31', '✗')} ${first}`, ...more.map(line => `     ${line}`)].join('\n'))
}

/** Shows a line that a program printed. */
export function printed(line: string): void {
  const [first = '', ...more] = wrapped(shortened(line), LINE_WIDTH - 5, LINE_WIDTH - 7)
  say([`   │ ${first}`.trimEnd(), ...more.map(part => `   │   ${part}`)].join('\n'))
}

/** The text in lines of at most `width` characters, the second and all others of `moreWidth`, broken between words where it has any. */
export function wrapped(text: string, width: number, moreWidth = width): string[] {
  if (text.length <= width) return [text]
  const space = text.lastIndexOf(' ', width)
  const end = space > 0 ? space : width
  return [text.slice(0, end), ...wrapped(text.slice(end).trimStart(), moreWidth)]
}

/** The text with the beginning alone of each hash and token. */
export function shortened(text: string): string {
  return text.replace(HASH_OR_TOKEN, word => `${word.slice(0, SHOWN_OF_A_HASH)}…`)
}
