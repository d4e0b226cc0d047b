/** The longest word that is compared. */
const MAX_WORD_LENGTH = 64

/** The one of `words` that `typed` was probably meant to be: at most two letters, and a third of it, differ. */
export function nearestWord(typed: string, words: Iterable<string>): string | undefined {
  if (typed.length > MAX_WORD_LENGTH) return undefined
  const plain = typed.toLowerCase().replaceAll('-', '_')
  let nearest: string | undefined
  let leastEdits = Math.min(2, Math.floor(plain.length / 3)) + 1
  for (const word of words) {
    const edits = countEdits(plain, word)
    if (edits < leastEdits) {
      nearest = word
      leastEdits = edits
    }
  }
  return nearest
}

/** Insertions, removals and replacements of letters that turn one word into the other (Levenshtein). */
function countEdits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
