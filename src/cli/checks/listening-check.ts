import { dirname } from 'node:path'
import type { Config, ListenAddress } from '../../config/config.js'
import { socketProblem } from '../../file-system/files/socket-place.js'
import { hostAndPort } from '../../network/host-and-port.js'
import type { WrittenFolder } from './permissions/open-folders.js'

const ANY_HOST: readonly string[] = ['0.0.0.0', '::']

/** Why what a configuration has as the place of a Unix socket cannot be one. @param uid the user that the relay runs as */
export async function socketProblems(path: string | undefined, uid: number | undefined): Promise<string[]> {
  if (path === undefined) return []
  const problem = await socketProblem(path, uid)
  return problem === undefined ? [] : [problem]
}

/** The folder of the socket, which others must not be able to exchange. None without a socket. */
export function socketFolders(path: string | undefined): WrittenFolder[] {
  return path === undefined ? [] : [{ setting: 'general.socket', path: dirname(path) }]
}

/** Settings that cannot be listened at together. Whether another program is there shows at start only. */
export function listenProblems({
  general,
  services,
  serviceListeners
}: Pick<Config, 'general' | 'services' | 'serviceListeners'>): string[] {
  const listened: [setting: string, address: ListenAddress | undefined][] = [
    ['general.listen', general.listen],
    ['general.proxy_listen', general.proxyListen],
    ['general.https_listen', general.httpsListen],
    ['services.listen', services.listen],
    ['services.https_listen', services.httpsListen],
    ...serviceListeners.map(({ listen }, index): [string, ListenAddress] => [
      `service_listener[${index}].listen`,
      listen
    ])
  ]
  return listened.flatMap(([setting, address], index) =>
    listened.slice(0, index).flatMap(([former, other]) => {
      if (address === undefined || other === undefined || !overlap(address, other)) return []
      return [
        `${setting} ${hostAndPort(address.host, address.port)} and ${former} ${hostAndPort(other.host, other.port)} are the same port: give one of them another`
      ]
    })
  )
}

function overlap(one: ListenAddress, other: ListenAddress): boolean {
  if (one.port !== other.port || one.port === 0) return false
  return one.host === other.host || [one, other].some(({ host }) => ANY_HOST.includes(host))
}
