const isTerminal = process.stdout.isTTY

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
  say(`   ${isGood ? paint('32', '✓') : paint('31', '✗')} ${text}`)
}
