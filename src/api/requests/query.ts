import type { FastifyRequest } from 'fastify'
import { RelayError } from '../../values/failures/relay-error.js'

/** Parameters of one request; the metadata of a file has some ten. Each takes 2 us in the schema of a PUT. */
export const MAX_PARAMETERS = 64

/** The path alone where the query has more parameters: it is not even parsed, since {@link checkQuery} refuses it. */
export function withoutLongQuery(url: string): string {
  return hasTooMany(url) ? url.slice(0, url.indexOf('?')) : url
}

/** @throws {RelayError} INVALID_INPUT when the query has more than {@link MAX_PARAMETERS} */
export function checkQuery({ originalUrl }: Pick<FastifyRequest, 'originalUrl'>): void {
  if (!hasTooMany(originalUrl)) return
  throw new RelayError('INVALID_INPUT', `the query has more than ${MAX_PARAMETERS} parameters; send fewer`)
}

function hasTooMany(url: string): boolean {
  const start = url.indexOf('?')
  if (start === -1) return false
  let parameters = 1
  for (let at = url.indexOf('&', start); at !== -1; at = url.indexOf('&', at + 1)) {
    parameters += 1
    if (parameters > MAX_PARAMETERS) return true
  }
  return false
}
