import { once } from 'node:events'
import { ReadStream } from 'node:fs'
import type { SendResult } from '@fastify/send'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { FILE_EXPIRES_HEADER, FILE_METADATA_HEADER } from '../../network/header-names.js'
import type { FoundFile, KeptFile, RelayedFile } from '../../shared-files/file-types.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { openFile } from './open-file.js'
import { limitStalledReader } from './reader-limit.js'

/** How often a file that is replaced while it is opened is looked up. Each time waits for who is replacing it. */
const MAX_TRIES = 5

/**
 * Answers with a shared file, or the part of it that was asked for. The record of a kept file is looked up before the
 * file is opened; when another copy took its place in between, both are done again, so that headers and bytes belong
 * together.
 * @param find looks the file up, as it is at that moment
 * @throws {RelayError} what `find` throws; NOT_FOUND, NO_SUCH_RANGE, CONDITION_FAILED; BUSY when it never holds still
 */
export async function sendSharedFile(
  request: FastifyRequest,
  reply: FastifyReply,
  find: () => Promise<FoundFile | RelayedFile>
): Promise<FastifyReply> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const file = await find()
    if (file.kind === 'relayed') {
      limitStalledReader(reply.raw, request.raw.socket)
      return reply.code(file.status).headers(file.headers).send(file.body)
    }
    const etag = `"${file.algorithm}:${file.hash}"`
    if (names(request.headers['if-none-match'], etag)) return reply.code(304).header('etag', etag).send()
    const opened = await openVersion(request, reply, file, etag)
    if (opened !== undefined) return sendOpened(request, reply, file, etag, opened)
  }
  throw new RelayError('BUSY', 'the file is being replaced again and again; try again in a moment')
}

function sendOpened(
  request: FastifyRequest,
  reply: FastifyReply,
  file: KeptFile,
  etag: string,
  opened: SendResult
): FastifyReply {
  limitStalledReader(reply.raw, request.raw.socket)
  return reply
    .code(opened.statusCode)
    .headers(opened.headers)
    .header('etag', etag)
    .header(FILE_METADATA_HEADER, Buffer.from(file.metadata).toString('base64'))
    .header(FILE_EXPIRES_HEADER, String(Math.floor(file.expiresAtMs / 1000)))
    .type('application/octet-stream')
    .send(opened.stream)
}

/** @returns undefined, with nothing changed or left open, when what was opened, or refused, may be another version */
async function openVersion(
  request: FastifyRequest,
  reply: FastifyReply,
  file: FoundFile,
  etag: string
): Promise<SendResult | undefined> {
  const { headers } = request.raw
  const { 'if-range': ifRange, 'if-match': ifMatch } = headers
  // Known by hash, not by time: a range of this very file may be sent, one of another file may not.
  if (ifRange === etag) delete headers['if-range']
  if (names(ifMatch, etag)) delete headers['if-match']
  try {
    const opened = await file.within(async path => {
      const result = await openFile(request, reply, path, { etag: false, gone: 'the file has just gone' })
      await untilOpen(result)
      return result
    })
    const isAsKept = opened.type === 'file' && opened.metadata.stat.size === file.sizeBytes
    const isCurrent = await file.isCurrent().catch(error => {
      opened.stream.destroy()
      throw error
    })
    if (isAsKept && isCurrent) return opened
    opened.stream.destroy()
    if (isCurrent) await file.recheck()
  } catch (error) {
    if ((await file.isCurrent()) && (await file.recheck())) throw error
    reply.removeHeader('content-range')
  }
  // Those that named this version do not name the next one.
  if (ifRange !== undefined) headers['if-range'] = ifRange
  if (ifMatch !== undefined) headers['if-match'] = ifMatch
  return undefined
}

/** The stream is there before its file is open, and the name may change hands until it is. */
async function untilOpen({ stream }: SendResult): Promise<void> {
  if (stream instanceof ReadStream && stream.pending) await once(stream, 'open')
}

/** Whether a list of tags holds `etag` (RFC 9110, section 8.8.3.2: weak comparison; ours are never weak). */
function names(tags: string | undefined, etag: string): boolean {
  if (tags === undefined) return false
  return tags.split(',').some(part => part.trim() === '*' || part.trim().replace(/^W\//, '') === etag)
}
