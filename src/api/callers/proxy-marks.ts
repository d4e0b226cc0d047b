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
  'x-azure-clientip'
])
/** All of a kind: `x-forwarded-for`, `x-forwarded-ssl`, …; `x-envoy-external-address`, `x-envoy-internal`, … */
const PREFIXES = ['x-forwarded', 'x-envoy-']

/** Whether a request seems to have been passed on by a proxy. With a mark, a connection from loopback is no local caller. */
export function hasProxyMark(headers: IncomingHttpHeaders): boolean {
  for (const name of Object.keys(headers)) {
    if (MARKS.has(name) || PREFIXES.some(prefix => name.startsWith(prefix))) return true
  }
  return false
}
