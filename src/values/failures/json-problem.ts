import { errorMessage } from './system-error.js'

const MAX_LENGTH = 200

/** The complaint of `JSON.parse` about a text, in one line: it quotes the text, line feeds and all. */
export function jsonProblem(error: unknown): string {
  const message = errorMessage(error)
  return message.replaceAll(/[\s\p{C}]+/gu, ' ').slice(0, MAX_LENGTH)
}
