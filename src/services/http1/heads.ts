import { type Fields, listElements } from './fields.js'

/** Start line and fields of a request. */
export interface RequestHead {
  /** Any token, in the case in which it came. */
  readonly method: string
  /** Byte for byte: `/path?query`, `http://host/path`, `*`, or `host:port` with CONNECT. */
  readonly target: string
  /** HTTP/1.0 or HTTP/1.1. */
  readonly minor: 0 | 1
  readonly fields: Fields
}

/** Start line and fields of an answer. */
export interface ResponseHead {
  /** 100 to 999. */
  readonly status: number
  /** May be empty. */
  readonly reason: string
  /** HTTP/1.0 or HTTP/1.1. */
  readonly minor: 0 | 1
  readonly fields: Fields
}

/**
 * Whether a sender keeps its connection for a next message (RFC 9112, 9.3). An answer that ends with its connection
 * is not told from its head alone: see its framing.
 */
export function isPersistent({ minor, fields }: Pick<RequestHead, 'minor' | 'fields'>): boolean {
  const options = listElements(fields, 'connection')
  if (options.includes('close')) return false
  return minor === 1 || options.includes('keep-alive')
}
