import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { ClusterConfig } from '../../config/services/service-config.js'
import { readServiceFile } from '../credentials/secret-text.js'
import { type SecretOwner, WatchedSecret } from '../credentials/watched-secret.js'
import {
  accessOfContext,
  accessOfServiceAccount,
  type ClusterAccess,
  filesOfContext,
  filesOfServiceAccount
} from './cluster-access.js'

/** A kubeconfig with the certificates of many clusters in it. */
const MAX_KUBECONFIG_BYTES = 1024 * 1024

/**
 * Opens the access to a cluster. Does not reject: what cannot be used yet is told in the log, and read again later. The
 * caller closes it.
 */
export function openClusterAccess(cluster: ClusterConfig, owner: SecretOwner): Promise<WatchedSecret<ClusterAccess>> {
  return cluster.kind === 'kubeconfig' ? openContext(cluster, owner) : openServiceAccount(cluster.folder, owner)
}

function openServiceAccount(folder: string, owner: SecretOwner): Promise<WatchedSecret<ClusterAccess>> {
  const keep = keepParts()
  return WatchedSecret.open({
    ...owner,
    name: 'service_account',
    files: filesOfServiceAccount(folder),
    read: async () => keep(await accessOfServiceAccount(folder, process.env, readServiceFile))
  })
}

function openContext(
  { file, context }: Extract<ClusterConfig, { readonly kind: 'kubeconfig' }>,
  owner: SecretOwner
): Promise<WatchedSecret<ClusterAccess>> {
  const keep = keepParts()
  let files: readonly string[] = [file]
  return WatchedSecret.open({
    ...owner,
    name: 'kubeconfig',
    get files() {
      return files // those that it names may change with it
    },
    read: async () => {
      const text = await readServiceFile('kubeconfig', file, MAX_KUBECONFIG_BYTES)
      const { readKubeconfig } = await import('./kubeconfig.js') // with a parser of YAML, for few processes
      const read = readKubeconfig(text, context, dirname(file))
      files = [file, ...filesOfContext(read)]
      return keep(await accessOfContext(read, readServiceFile))
    }
  })
}

/** Keeps the parts that stay the same as the same objects: a new token alone ends no connection. */
function keepParts(): (access: ClusterAccess) => ClusterAccess {
  let former: ClusterAccess | undefined
  return ({ server, tls, change }) => {
    former = {
      server,
      tls: former !== undefined && isDeepStrictEqual(tls, former.tls) ? former.tls : tls,
      change: former !== undefined && isDeepStrictEqual(change, former.change) ? former.change : change
    }
    return former
  }
}
