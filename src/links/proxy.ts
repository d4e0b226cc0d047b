import type { Agent } from 'node:https'

/**
 * The agent that leads through the HTTP proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`, in either case), if there
 * is one for this address.
 * @throws {Error} when the proxy's URL is none
 */
export async function proxyFor(
  url: string,
  env: Readonly<Record<string, string | undefined>> = process.env
): Promise<Agent | undefined> {
  const proxy = env.HTTPS_PROXY ?? env.https_proxy
  if (proxy === undefined || proxy === '' || isExcepted(new URL(url), env.NO_PROXY ?? env.no_proxy ?? '')) {
    return undefined
  }
  if (!URL.canParse(proxy)) throw new Error('HTTPS_PROXY is no URL: it should be http://host:port')
  const { HttpsProxyAgent } = await import('https-proxy-agent')
  return new HttpsProxyAgent(proxy)
}

/** `NO_PROXY`: host names, which stand for all below them too, or `*`; a port may follow. */
function isExcepted({ hostname, port }: URL, list: string): boolean {
  const host = hostname.toLowerCase().replace(/^\[|\]$/g, '')
  return list
    .split(/[\s,]+/)
    .filter(entry => entry !== '')
    .some(entry => {
      if (entry === '*') return true
      const [, name = '', entryPort] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
      if (entryPort !== undefined && entryPort !== (port === '' ? '443' : port)) return false
      const suffix = name.replace(/^\*?\.?/, '')
      return host === suffix || host.endsWith(`.${suffix}`)
    })
}
