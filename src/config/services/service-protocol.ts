/** Versions of HTTP that a service may speak: `h2` is HTTP/2 over TLS, `h2c` the same without, as the connection begins. */
export const SERVICE_PROTOCOLS = ['http/1.1', 'h2', 'h2c'] as const

export type ServiceProtocol = (typeof SERVICE_PROTOCOLS)[number]

export function isServiceProtocol(text: string): text is ServiceProtocol {
  return SERVICE_PROTOCOLS.some(protocol => protocol === text)
}

/** @returns why a URL does not go with a protocol: `h2` needs `https:`, `h2c` needs `http:` */
export function protocolProblem(
  protocol: ServiceProtocol,
  { protocol: scheme }: Pick<URL, 'protocol'>
): string | undefined {
  if (protocol === 'h2' && scheme !== 'https:') return 'h2 is HTTP/2 over TLS: it needs a URL with https://, or h2c'
  if (protocol === 'h2c' && scheme !== 'http:') return 'h2c is HTTP/2 without TLS: it needs a URL with http://, or h2'
  return undefined
}
