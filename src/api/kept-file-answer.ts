import { basename, dirname } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { KeptFile } from '../shared-files/types.js'
import { FILE_EXPIRES_HEADER, FILE_METADATA_HEADER } from '../values/header-names.js'
import { RelayError } from '../values/relay-error.js'
import { limitStalledReader } from './reader-limit.js'

/** Answers with a kept file: `Range`, `If-None-Match` and the like are left to @fastify/send. */
export async function sendKeptFile(
  request: FastifyRequest,
  reply: FastifyReply,
  file: KeptFile
): Promise<FastifyReply> {
  const etag = `"${file.algorithm}:${file.hash}"`
  if (names(request.headers['if-none-match'], etag)) return reply.code(304).header('etag', etag).send()
  // Known by hash, not by time: a range of this very file may be sent, one of another file may not.
  if (request.headers['if-range'] === etag) delete request.raw.headers['if-range']
  const { default: send } = await import('@fastify/send') // its table of types takes memory
  const result = await send(request.raw, encodeURIComponent(basename(file.path)), {
    root: dirname(file.path),
    dotfiles: 'allow',
    etag: false,
    cacheControl: false,
    acceptRanges: true
  })
  if (result.statusCode === 404) throw new RelayError('NOT_FOUND', 'the file has just gone')
  limitStalledReader(reply.raw, request.raw.socket)
  return reply
    .code(result.statusCode)
    .headers(result.headers)
    .header('etag', etag)
    .header(FILE_METADATA_HEADER, Buffer.from(file.metadata).toString('base64'))
    .header(FILE_EXPIRES_HEADER, String(Math.floor(file.expiresAtMs / 1000)))
    .type('application/octet-stream')
    .send(result.stream)
}

/** Whether an `If-None-Match` holds `etag` (RFC 9110, section 13.1.2: weak comparison). */
function names(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.split(',').some(part => part.trim() === '*' || part.trim().replace(/^W\//, '') === etag)
}
