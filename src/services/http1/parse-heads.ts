import { BadMessageError, malformed } from './bad-message-error.js'
import { CR, describeCharacter, endOfToken, isFieldCharacter, isTargetCharacter, LF, SPACE } from './characters.js'
import { parseFields } from './fields.js'
import type { RequestHead, ResponseHead } from './heads.js'
import { checkTargetForm } from './request-target.js'

const VERSION_LENGTH = 'HTTP/1.1'.length

/**
 * Reads the head of a request.
 * @param block the whole head with the empty line at its end, one character a byte (latin1)
 * @throws {BadMessageError}
 */
export function parseRequestHead(block: string): RequestHead {
  const methodEnd = endOfToken(block, 0)
  if (methodEnd === 0 || block.charCodeAt(methodEnd) !== SPACE) {
    throw malformed(`the request line has ${describeCharacter(block.charCodeAt(methodEnd))} in its method`)
  }
  const targetStart = methodEnd + 1
  let targetEnd = targetStart
  while (isTargetCharacter(block.charCodeAt(targetEnd))) targetEnd += 1
  if (targetEnd === targetStart || block.charCodeAt(targetEnd) !== SPACE) {
    throw malformed(`the request line has ${describeCharacter(block.charCodeAt(targetEnd))} in its target`)
  }
  const minor = readVersion(block, targetEnd + 1)
  const lineEnd = targetEnd + 1 + VERSION_LENGTH
  if (block.charCodeAt(lineEnd) !== CR || block.charCodeAt(lineEnd + 1) !== LF) {
    throw malformed('the request line does not end behind the version')
  }
  const fields = parseFields(block, lineEnd + 2)
  if (minor === undefined) throw badVersion(block, targetEnd + 1)
  const method = block.slice(0, methodEnd)
  const target = block.slice(targetStart, targetEnd)
  checkTargetForm(method, target)
  return { method, target, minor, fields }
}

/**
 * Reads the head of an answer. The blank behind the status may be missing where the reason is empty: some services
 * leave it out.
 * @param block the whole head with the empty line at its end, one character a byte (latin1)
 * @throws {BadMessageError}
 */
export function parseResponseHead(block: string): ResponseHead {
  const minor = readVersion(block, 0)
  const statusStart = VERSION_LENGTH + 1
  const status = readStatus(block, statusStart)
  let lineEnd = statusStart + 3
  const hasReason = block.charCodeAt(lineEnd) === SPACE
  if (hasReason) while (isFieldCharacter(block.charCodeAt(lineEnd))) lineEnd += 1
  if (block.charCodeAt(lineEnd) !== CR || block.charCodeAt(lineEnd + 1) !== LF) {
    throw malformed(`the status line has ${describeCharacter(block.charCodeAt(lineEnd))} behind the status`)
  }
  const fields = parseFields(block, lineEnd + 2)
  if (minor === undefined) throw badVersion(block, 0)
  return { status, reason: hasReason ? block.slice(statusStart + 4, lineEnd) : '', minor, fields }
}

/**
 * @returns undefined for a version that is none of ours; told of behind the fields, so that a malformed message is
 *   malformed in whatever pieces it comes
 */
function readVersion(block: string, at: number): 0 | 1 | undefined {
  if (block.startsWith('HTTP/1.1', at)) return 1
  if (block.startsWith('HTTP/1.0', at)) return 0
  if (/^HTTP\/\d\.\d$/.test(block.slice(at, at + VERSION_LENGTH))) return undefined
  throw malformed('the start line names no version of HTTP where one belongs')
}

function badVersion(block: string, at: number): BadMessageError {
  const version = block.slice(at, at + VERSION_LENGTH)
  return new BadMessageError('version', `the message is ${version}; HTTP/1.0 and HTTP/1.1 are understood here`)
}

function readStatus(block: string, at: number): number {
  let status = 0
  for (let index = at; index < at + 3; index += 1) {
    const digit = block.charCodeAt(index) - 0x30
    if (!(digit >= 0 && digit <= 9)) throw malformed('the status line has no status of three digits')
    status = 10 * status + digit
  }
  if (status < 100 || block.charCodeAt(at - 1) !== SPACE) {
    throw malformed('the status line has no status from 100 to 999')
  }
  return status
}
