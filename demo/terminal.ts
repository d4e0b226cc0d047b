const isTerminal = process.stdout.isTTY
const SHOWN_OF_A_HASH = 12
const HASH_OR_TOKEN = /\b[\da-f]{40,}\b|\b[\da-f]{12}(?:\.[\w-]{40,}){2}|(?<="run":")\w{26}|(?<=sha256\/\/)[\w+/]{43}=/g

function paint(code: string, text: string): string {
  return isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text
}

/** Begins a step: what it shows, and the lines that do the same by hand. */
export function heading(number: number, title: string, byHand: readonly string[]): void {
  say(`\n${paint('1;36', `${number}. ${title}`)}`)
  for (const line of byHand) say(paint('2', `   $ ${line}`))
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function result(isGood: boolean, text: string): void {
  say(`   ${isGood ? paint('32', '✓') : paint('31', '✗')} ${shortened(text)}`)
}

/** The text with the beginning alone of each hash and token, and of the run in each event. */
export function shortened(text: string): string {
  return text.replace(HASH_OR_TOKEN, word => `${word.slice(0, SHOWN_OF_A_HASH)}…`)
}
