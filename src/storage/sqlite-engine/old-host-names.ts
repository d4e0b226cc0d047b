import { canonicalHost } from '../../network/host-name.js'

const PORT = /^(.*):\d{1,5}$/

/**
 * A member's host name as it was taken once, in the form in which names are taken now. A name that cannot be a host
 * name (`127.1`) was never of any use, and would keep the whole tree from being read: it becomes a name that nobody
 * has (RFC 2606).
 */
export function oldHostName(hostname: string, memberId: string): string {
  const withoutPort = PORT.exec(hostname)?.[1] ?? ''
  return (
    canonicalHost(hostname) ??
    canonicalHost(withoutPort) ??
    canonicalHost(`${memberId}.invalid`) ??
    `${Buffer.from(memberId).toString('hex').slice(0, 60)}.invalid`
  )
}
