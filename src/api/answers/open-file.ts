import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { basename, dirname } from 'node:path'
import type { SendResult } from '@fastify/send'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isSameFile } from '../../file-system/files/file-identity.js'
import { RelayError } from '../../values/failures/relay-error.js'

const NOT_MODIFIED = 304
const RANGE = /^bytes (\d+)-/

export interface OpenFileOptions {
  /** Whether the file gets an `ETag` of its size and date. */
  readonly etag: boolean
  /** The message when there is no such file any more. */
  readonly gone: string
}

/** Options for a file that is open already. */
export interface OpenedFileOptions extends OpenFileOptions {
  /** The source of the content, also when the path has become another file. It is closed in any case. */
  readonly handle: FileHandle
}

/**
 * Sends a file that is open already, as {@link openFile} does, and never another one.
 * @returns undefined when the path is another file by now
 */
export async function sendOpened(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  { handle, ...options }: OpenedFileOptions
): Promise<SendResult | undefined> {
  let isTaken = false
  try {
    const result = await answerFor(headOf(request.raw), reply, path, options)
    const opened = await handle.stat()
    const found = result.type === 'file' ? result.metadata.stat : undefined
    if (!isSameFile(opened, found)) return undefined
    const length = Number(result.headers['Content-Length'] ?? 0)
    if (result.statusCode === NOT_MODIFIED || length === 0) return result
    const start = Number(RANGE.exec(result.headers['Content-Range'] ?? '')?.[1] ?? 0)
    isTaken = true
    return { ...result, stream: handle.createReadStream({ start, end: start + length - 1 }) }
  } finally {
    if (!isTaken) await handle.close()
  }
}

/**
 * Opens a file for an answer: `Range`, `If-None-Match` and the like are left to @fastify/send.
 * @throws {RelayError} NOT_FOUND, NO_SUCH_RANGE, CONDITION_FAILED
 */
export function openFile(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  options: OpenFileOptions
): Promise<SendResult> {
  return answerFor(request.raw, reply, path, options)
}

/** The same request for the head of an answer alone: for that, the path is looked at, and never opened. */
function headOf(request: IncomingMessage): IncomingMessage {
  return Object.create(request, { method: { value: 'HEAD' } }) as IncomingMessage
}

async function answerFor(
  request: IncomingMessage,
  reply: FastifyReply,
  path: string,
  { etag, gone }: OpenFileOptions
): Promise<SendResult> {
  const { default: send } = await import('@fastify/send') // its table of types takes memory
  const result = await send(request, encodeURIComponent(basename(path)), {
    root: dirname(path),
    dotfiles: 'allow',
    etag,
    cacheControl: false,
    acceptRanges: true
  })
  if (result.type !== 'error') return result
  result.stream.destroy() // a page for browsers
  switch (result.statusCode) {
    case 404:
      throw new RelayError('NOT_FOUND', gone)
    case 412:
      throw new RelayError('CONDITION_FAILED', 'the file is not the one that If-Match or If-Unmodified-Since names')
    case 416: {
      const range = result.headers['Content-Range'] ?? ''
      reply.header('content-range', range)
      throw new RelayError('NO_SUCH_RANGE', `no such range: the file has ${range.replace('bytes */', '')} bytes`)
    }
    default:
      throw result.metadata.error
  }
}
