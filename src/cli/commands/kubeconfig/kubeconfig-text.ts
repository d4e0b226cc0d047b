import { stringify } from 'yaml'

/** The way in which kubectl shows who it is. */
export type KubeUser =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: string }

export interface KubeServer {
  readonly url: string
  /** Trusted certificates in PEM form; undefined: those of the system. */
  readonly ca: string | undefined
  /** The name to look for in the server's certificate; undefined: that of the URL. */
  readonly name: string | undefined
}

export interface KubeconfigParts {
  /** The name of the context, its cluster and its user. */
  readonly context: string
  readonly namespace: string | undefined
  readonly server: KubeServer
  readonly user: KubeUser
}

/** A kubeconfig with one context (Kubernetes: `v1.Config` of client-go). */
export function kubeconfigOf({ context, namespace, server, user }: KubeconfigParts): object {
  const cluster = {
    server: server.url,
    ...(server.ca === undefined ? {} : { 'certificate-authority-data': base64(server.ca) }),
    ...(server.name === undefined ? {} : { 'tls-server-name': server.name })
  }
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: context, cluster }],
    users: [{ name: context, user: credentialsOf(user) }],
    contexts: [
      { name: context, context: { cluster: context, user: context, ...(namespace === undefined ? {} : { namespace }) } }
    ],
    'current-context': context
  }
}

/** The kubeconfig as kubectl writes it. */
export function formatKubeconfig(kubeconfig: object): string {
  return stringify(kubeconfig, { lineWidth: 0 })
}

function credentialsOf(user: KubeUser): object {
  if (user.kind === 'token') return { token: user.token }
  if (user.kind === 'none') return {}
  return { 'client-certificate-data': base64(user.certificate), 'client-key-data': base64(user.key) }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
