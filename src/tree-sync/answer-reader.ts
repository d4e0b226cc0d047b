import type { Readable } from 'node:stream'
import { parseHeader, parseLine, type TreeEntry, type TreeHeader, type TreeLine, TreeLinesError } from './tree-lines.js'

/** Longest line: a node with some thirty certificates of the longest kind. */
export const MAX_LINE_LENGTH = 4 * 1024 * 1024
/** All of an answer: a nodes list and its certificates, each of the most that may be imported. */
const MAX_ANSWER_BYTES = 1024 ** 3
/** A difference is kept in memory until it is applied. */
export const MAX_CHANGED_NODES = 100_000
export const MAX_DIFFERENCE_BYTES = 96 * 1024 * 1024
/** Memory that each node and each certificate of a difference takes besides its text. */
const BYTES_OF_AN_OBJECT = 200

const LINE_FEED = 0x0a

/** A line, and the bytes that it came as. */
export interface ReceivedLine {
  readonly line: TreeLine
  readonly bytes: number
}

/** An answer whose first line was read. */
export interface TreeReader {
  readonly header: TreeHeader
  /** @throws {TreeLinesError} also when it ends before its last line */
  readonly lines: AsyncIterable<ReceivedLine>
}

/** The changes that a difference makes to a tree. */
export interface Changes {
  readonly put: ReadonlyMap<string, TreeEntry>
  readonly removed: ReadonlySet<string>
}

/**
 * Reads an answer line by line. The caller destroys `body` when it reads no further.
 * @param onBytes told of all that comes
 * @throws {TreeLinesError}
 */
export async function readAnswer(body: Readable, onBytes: (count: number) => void): Promise<TreeReader> {
  const lines = splitLines(body, onBytes)
  const first = await lines.next()
  if (first.done === true) throw new TreeLinesError('it is empty')
  return { header: parseHeader(first.value.toString('utf8')), lines: readLines(lines) }
}

/** @throws {TreeLinesError} when there is more than a difference may have */
export async function readChanges(lines: AsyncIterable<ReceivedLine>): Promise<Changes> {
  const put = new Map<string, TreeEntry>()
  const removed = new Set<string>()
  let total = 0
  for await (const { line, bytes } of lines) {
    total += bytes + BYTES_OF_AN_OBJECT
    if (line.kind === 'put') {
      put.set(line.entry.id, line.entry)
      total += BYTES_OF_AN_OBJECT * line.entry.certificates.length
    } else if (line.kind === 'removed') removed.add(line.id)
    const count = put.size + removed.size
    if (count > MAX_CHANGED_NODES || total > MAX_DIFFERENCE_BYTES) {
      throw new TreeLinesError(`the difference is too large: ${count} nodes, which take ${total} bytes`)
    }
  }
  return { put, removed }
}

async function* readLines(lines: AsyncIterable<Buffer>): AsyncGenerator<ReceivedLine> {
  let hasEnded = false
  for await (const bytes of lines) {
    if (hasEnded) throw new TreeLinesError('something follows its last line')
    const line = parseLine(bytes.toString('utf8'))
    hasEnded = line.kind === 'end'
    yield { line, bytes: bytes.length }
  }
  if (!hasEnded) throw new TreeLinesError('it broke off')
}

async function* splitLines(body: Readable, onBytes: (count: number) => void): AsyncGenerator<Buffer> {
  let pending: Buffer[] = []
  let pendingBytes = 0
  let total = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    onBytes(chunk.length)
    total += chunk.length
    if (total > MAX_ANSWER_BYTES) throw new TreeLinesError(`it has more than ${MAX_ANSWER_BYTES} bytes`)
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      pending.push(chunk.subarray(start, end))
      yield Buffer.concat(pending)
      pending = []
      pendingBytes = 0
      start = end + 1
    }
    const rest = chunk.subarray(start)
    pending.push(rest)
    pendingBytes += rest.length
    if (pendingBytes > MAX_LINE_LENGTH) throw new TreeLinesError(`a line has more than ${MAX_LINE_LENGTH} bytes`)
  }
  if (pendingBytes > 0) throw new TreeLinesError('it broke off within a line')
}
