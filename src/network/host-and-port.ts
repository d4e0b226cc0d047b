/** The port of HTTPS where none is named. */
export const HTTPS_PORT = 443

/** `host:port` as a URL has it: an IPv6 address stands in brackets (RFC 3986, section 3.2.2). */
export function hostAndPort(host: string, port: number | string): string {
  return `${bracketed(host)}:${port}`
}

/** The host name or address of a URL: an IPv6 address without its brackets. */
export function unbracketed(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}

/** A host name or address as a URL has it, without a port. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
