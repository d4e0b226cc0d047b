import type { Readable } from 'node:stream'
import { parseHeader, parseLine, type TreeEntry, type TreeHeader, type TreeLine, TreeLinesError } from './tree-lines.js'

/** Longest line: a node with some thirty certificates of the longest kind. */
export const MAX_LINE_LENGTH = 4 * 1024 * 1024
/** All of an answer: a nodes list and its certificates, each of the most that may be imported. */
const MAX_ANSWER_BYTES = 1024 ** 3
/** A difference is kept in memory until it is applied. */
export const MAX_CHANGED_NODES = 100_000
export const MAX_DIFFERENCE_BYTES = 64 * 1024 * 1024

const LINE_FEED = 0x0a

/** An answer whose first line was read. */
export interface TreeReader {
  readonly header: TreeHeader
  /** @throws {TreeLinesError} also when it ends before its last line */
  readonly lines: AsyncIterable<TreeLine>
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
  return { header: parseHeader(first.value), lines: readLines(lines) }
}

/** @throws {TreeLinesError} when there is more than a difference may have */
export async function readChanges(lines: AsyncIterable<TreeLine>): Promise<Changes> {
  const put = new Map<string, TreeEntry>()
  const removed = new Set<string>()
  let bytes = 0
  for await (const line of lines) {
    if (line.kind === 'put') {
      put.set(line.entry.id, line.entry)
      bytes += line.entry.certificates.reduce((sum, der) => sum + der.length, 500)
    } else if (line.kind === 'removed') removed.add(line.id)
    if (put.size + removed.size > MAX_CHANGED_NODES || bytes > MAX_DIFFERENCE_BYTES) {
      throw new TreeLinesError(`the difference is too large: ${put.size + removed.size} nodes`)
    }
  }
  return { put, removed }
}

async function* readLines(lines: AsyncIterable<string>): AsyncGenerator<TreeLine> {
  let hasEnded = false
  for await (const text of lines) {
    if (hasEnded) throw new TreeLinesError('something follows its last line')
    const line = parseLine(text)
    hasEnded = line.kind === 'end'
    yield line
  }
  if (!hasEnded) throw new TreeLinesError('it broke off')
}

async function* splitLines(body: Readable, onBytes: (count: number) => void): AsyncGenerator<string> {
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
      yield Buffer.concat(pending).toString('utf8')
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
