import { errorCode, errorMessage } from '../values/failures/system-error.js'
import { hostAndPort } from './host-and-port.js'

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there already (EADDRINUSE)',
  EADDRNOTAVAIL: 'this machine does not have that address (EADDRNOTAVAIL)',
  EACCES: 'ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE (EACCES)'
}

/** The error for an address that a program cannot listen on. @param setting of the address, or its option */
export function listenFailure(setting: string, { host, port }: { host: string; port: number }, cause: unknown): Error {
  const why = LISTEN_ERRORS[errorCode(cause) ?? ''] ?? errorMessage(cause)
  return new Error(`${setting}: cannot listen on ${hostAndPort(host, port)}: ${why}`, { cause })
}
