import { readSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { errorCode } from '../../values/failures/system-error.js'

/** The part of a connection in Node that is its file. */
export interface RawHandle {
  readonly fd: number
  readStart(): void
  readStop(): void
}

/** The part of a TLS connection in Node that decrypts. */
export interface TlsHandle {
  /** Takes bytes as if they had come from the network, and goes on with them before it returns. */
  receive(bytes: Buffer): void
}

/** @returns undefined once the connection is closed */
export function rawHandleOf(socket: Socket): RawHandle | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  return isRawHandle(handle) ? handle : undefined
}

/** @returns undefined once the connection is closed */
export function tlsHandleOf(connection: TLSSocket): TlsHandle | undefined {
  const handle: unknown = Reflect.get(connection, '_handle')
  return hasMethods(handle, 'receive') ? (handle as TlsHandle) : undefined
}

/** The TCP connection below a TLS connection. @returns undefined where it goes over something else, such as other TLS */
export function tcpHandleBelow(connection: TLSSocket): RawHandle | undefined {
  const handle: unknown = Reflect.get(connection, '_handle')
  const below: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, '_parent') : undefined
  return isRawHandle(below) && below.constructor.name === 'TCP' ? below : undefined
}

/** Reads what has come. @returns undefined: nothing; `gone`: the other side has ended the connection */
export function readNow({ fd }: RawHandle, buffer: Buffer, maxBytes: number): Buffer | 'gone' | undefined {
  try {
    const count = readSync(fd, buffer, 0, maxBytes, null)
    return count === 0 ? 'gone' : buffer.subarray(0, count)
  } catch (error) {
    return errorCode(error) === 'EAGAIN' ? undefined : 'gone'
  }
}

function isRawHandle(value: unknown): value is RawHandle {
  return hasMethods(value, 'readStart', 'readStop') && typeof Reflect.get(value, 'fd') === 'number'
}

function hasMethods(value: unknown, ...names: string[]): value is object {
  return (
    typeof value === 'object' && value !== null && names.every(name => typeof Reflect.get(value, name) === 'function')
  )
}
