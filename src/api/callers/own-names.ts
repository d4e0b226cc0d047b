import { X509Certificate } from 'node:crypto'
import { hostname as systemHostname } from 'node:os'
import type { Config } from '../../config/config.js'
import { readTextFileSync } from '../../file-system/files/text-file.js'
import { hostnamesOf } from '../../membership/certificates.js'
import type { CurrentTopology } from '../../tree/topology.js'

/** The names by which this relay may be asked: as the nodes list, the machine, its certificate and the configuration say. */
export function ownNames(config: () => Config, topology: CurrentTopology): () => readonly string[] {
  const ofCertificates = new WeakMap<Config, readonly string[]>() // read again with each reload
  return () => {
    const current = config()
    const certified = ofCertificates.get(current) ?? certificateNames(current.general.httpsCertificateFile)
    ofCertificates.set(current, certified)
    const { hostnames, listen, httpsListen } = current.general
    const others = [topology().find(topology().selfId)?.hostname, systemHostname(), listen.host, httpsListen?.host]
    return [...hostnames, ...certified, ...others.filter(name => name !== undefined)]
  }
}

function certificateNames(file: string | undefined): readonly string[] {
  if (file === undefined) return []
  try {
    return hostnamesOf(new X509Certificate(readTextFileSync(file)).raw)
  } catch {
    return [] // what is wrong with it is told where it is used
  }
}
