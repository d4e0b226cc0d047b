import { RelayError } from './failures/relay-error.js'

/** Length bounds of node ids and file ids (contract, "Shared files"). */
export const MAX_NODE_ID_LENGTH = 128
export const MAX_FILE_ID_LENGTH = 200

const ID = /^[A-Za-z0-9\-_.]+$/
const DOTS_ONLY = /^\.{1,2}$/
const METADATA_SUFFIX = /\.metadata$/i

/** The name of a shared file: the node it is for, the node that sent it, and its id. */
export interface FileKey {
  readonly target: string
  readonly source: string
  readonly fileId: string
}

function isId(text: string, maxLength: number): boolean {
  return text.length <= maxLength && ID.test(text) && !DOTS_ONLY.test(text)
}

/** Whether `text` can name a node: 1 to 128 characters of `A-Za-z0-9-_.`, and neither `.` nor `..`. */
export function isNodeId(text: string): boolean {
  return isId(text, MAX_NODE_ID_LENGTH)
}

/**
 * Whether a text is a file id: as {@link isNodeId}, up to 200 characters, and not ending in `.metadata`, which is the
 * name beside each file.
 */
export function isFileId(text: string): boolean {
  return isId(text, MAX_FILE_ID_LENGTH) && !METADATA_SUFFIX.test(text)
}

/** @throws {RelayError} INVALID_INPUT naming the member that is malformed */
export function checkFileKey(key: FileKey): void {
  if (!isNodeId(key.target)) throw invalidId('target id', key.target, MAX_NODE_ID_LENGTH)
  if (!isNodeId(key.source)) throw invalidId('source id', key.source, MAX_NODE_ID_LENGTH)
  if (!isFileId(key.fileId)) throw invalidId('file id', key.fileId, MAX_FILE_ID_LENGTH)
}

/** @throws {RelayError} INVALID_INPUT when `id` cannot name a node */
export function checkNodeId(id: string): void {
  if (!isNodeId(id)) throw invalidId('node id', id, MAX_NODE_ID_LENGTH)
}

function invalidId(what: string, value: string, maxLength: number): RelayError {
  const shown = JSON.stringify(value.slice(0, 80))
  const rule = `1 to ${maxLength} characters of A-Z a-z 0-9 - _ . are allowed, not "." or ".."`
  const suffix = what === 'file id' ? ', and no name ending in .metadata' : ''
  return new RelayError('INVALID_INPUT', `invalid ${what}: ${shown}; ${rule}${suffix}`)
}

/** The id of the relay at the top of every tree. */
export const ROOT_ID = 'root'
