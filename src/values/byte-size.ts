import { RelayError } from './failures/relay-error.js'

const POWERS: readonly string[] = ['', 'k', 'm', 'g', 't']
const SIZE = /^(\d{1,15}) *(?:([kmgt]?)(i?)b?)$/i

/**
 * A number of bytes as configuration files write it: `52428800`, `50MiB` (1024 each), `2GB` (1000 each), also `50Mi`
 * and `50M`; upper or lower case.
 * @returns a safe integer, 0 or more
 * @throws {RelayError} INVALID_INPUT
 */
export function parseByteSize(text: string): number {
  const [, digits, letter = '', isBinary] = SIZE.exec(text) ?? []
  const power = POWERS.indexOf(letter.toLowerCase())
  if (digits === undefined || (isBinary !== '' && power === 0)) {
    throw invalid(text, 'expected a number of bytes, or a text such as 50MiB or 2GB')
  }
  const bytes = Number(digits) * (isBinary === '' ? 1000 : 1024) ** power
  if (!Number.isSafeInteger(bytes)) throw invalid(text, 'that is more than can be counted')
  return bytes
}

function invalid(text: string, why: string): RelayError {
  return new RelayError('INVALID_INPUT', `invalid size: ${JSON.stringify(text.slice(0, 80))}, ${why}`)
}
