/**
 * The HTTP proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`, in either case) through which an address is reached, if
 * there is one. It may hold credentials: not for messages.
 * @throws {Error} when it is no URL
 */
export function httpProxyFor(
  url: string,
  env: Readonly<Record<string, string | undefined>> = process.env
): URL | undefined {
  const proxy = env.HTTPS_PROXY ?? env.https_proxy
  if (proxy === undefined || proxy === '' || isExcepted(new URL(url), env.NO_PROXY ?? env.no_proxy ?? '')) {
    return undefined
  }
  const parsed = URL.canParse(proxy) ? new URL(proxy) : undefined
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed
  throw new Error('HTTPS_PROXY is no URL: it should be http://host:port')
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
