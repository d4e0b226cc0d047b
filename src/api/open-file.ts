import { basename, dirname } from 'node:path'
import type { SendResult } from '@fastify/send'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RelayError } from '../values/relay-error.js'

export interface OpenFileOptions {
  /** Whether the file gets an `ETag` of its size and date. */
  readonly etag: boolean
  /** What to say when there is no such file any more. */
  readonly gone: string
}

/**
 * Opens a file for an answer: `Range`, `If-None-Match` and the like are left to @fastify/send.
 * @throws {RelayError} NOT_FOUND, NO_SUCH_RANGE, CONDITION_FAILED
 */
export async function openFile(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  { etag, gone }: OpenFileOptions
): Promise<SendResult> {
  const { default: send } = await import('@fastify/send') // its table of types takes memory
  const result = await send(request.raw, encodeURIComponent(basename(path)), {
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
