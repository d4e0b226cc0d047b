import type { FastifyReply, FastifyRequest } from 'fastify'
import type { KeptFile } from '../shared-files/types.js'
import { FILE_EXPIRES_HEADER, FILE_METADATA_HEADER } from '../values/header-names.js'
import { openFile } from './open-file.js'
import { limitStalledReader } from './reader-limit.js'

/** Answers with a kept file, or the part of it that was asked for. */
export async function sendKeptFile(
  request: FastifyRequest,
  reply: FastifyReply,
  file: KeptFile
): Promise<FastifyReply> {
  const etag = `"${file.algorithm}:${file.hash}"`
  if (names(request.headers['if-none-match'], etag)) return reply.code(304).header('etag', etag).send()
  // Known by hash, not by time: a range of this very file may be sent, one of another file may not.
  if (request.headers['if-range'] === etag) delete request.raw.headers['if-range']
  if (names(request.headers['if-match'], etag)) delete request.raw.headers['if-match']
  const result = await openFile(request, reply, file.path, { etag: false, gone: 'the file has just gone' })
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

/** Whether a list of tags holds `etag` (RFC 9110, section 8.8.3.2: weak comparison; ours are never weak). */
function names(tags: string | undefined, etag: string): boolean {
  if (tags === undefined) return false
  return tags.split(',').some(part => part.trim() === '*' || part.trim().replace(/^W\//, '') === etag)
}
