import type { IncomingHttpHeaders } from 'node:http'

/**
 * Headers by which a proxy names the caller, itself, or the address that it was asked for. Programs that ask a relay
 * send none of these.
 */
const MARKS: ReadonlySet<string> = new Set([
  'forwarded',
  'forwarded-for',
  'via',
  'client-ip',
  'proxy-client-ip',
  'wl-proxy-client-ip',
  'wl-proxy-ssl',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-real-ip',
  'x-remote-addr',
  'x-remote-ip',
  'x-original-forwarded-for',
  'x-original-host',
  'x-proxyuser-ip',
  'cdn-loop',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-ray',
  'fastly-client-ip',
  'fly-client-ip',
  'x-appengine-user-ip',
  'x-azure-clientip',
  'x-azure-ref',
  'x-sourceip',
  'x-varnish',
  'x-amzn-trace-id',
  'x-nginx-proxy',
  'x-original-url',
  'x-rewrite-url',
  'ali-cdn-real-ip',
  'cdn-src-ip',
  'cf-visitor',
  'cf-worker',
  'max-forwards',
  'proxy-connection'
])
/** All of a kind: `x-forwarded-for`, `x-forwarded-ssl`, …; `x-envoy-external-address`, `x-envoy-internal`, …; `x-arr-ssl`, … */
const OF_A_KIND = /^(?:x-(?:forwarded|envoy-|arr-|ssl-client-)|ssl-client-|tailscale-)/

/** Headers of nearly every request: no marks, known without a further look. */
const ORDINARY: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'user-agent',
  'accept',
  'accept-encoding',
  'content-length',
  'content-type',
  'transfer-encoding',
  'expect'
])

/** Whether a request seems to have been passed on by a proxy. With a mark, a connection from loopback is no local caller. */
export function hasProxyMark(headers: IncomingHttpHeaders): boolean {
  for (const name of Object.keys(headers)) if (isProxyMark(name)) return true
  return false
}

/** Whether a proxy adds such a header. @param given its name, in lower case */
export function isProxyMark(given: string): boolean {
  if (ORDINARY.has(given)) return false
  const name = given.includes('_') ? given.replaceAll('_', '-') : given // some programs write them so, and pass them on
  return MARKS.has(name) || OF_A_KIND.test(name)
}
