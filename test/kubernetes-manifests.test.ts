import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { parseAllDocuments } from 'yaml'
import { COMMANDS } from '../src/cli/commands.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'deploy/kubernetes')
const MANIFESTS = readdirSync(FOLDER).filter(name => name.endsWith('.yaml'))

interface Container {
  readonly image: string
  readonly args?: readonly string[]
  readonly securityContext?: unknown
  readonly resources?: { readonly limits: unknown }
  readonly livenessProbe?: { readonly httpGet: { readonly path: string } }
  readonly readinessProbe?: { readonly httpGet: { readonly path: string } }
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

interface PodSpec {
  readonly securityContext: unknown
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly optional?: boolean } }[]
}

interface Manifest {
  readonly kind: string
  readonly spec?: { readonly template: { readonly spec: PodSpec } }
}

function podsOf(name: string): PodSpec[] {
  return parseAllDocuments(readFileSync(join(FOLDER, name), 'utf8')).flatMap(document => {
    assert.deepEqual(document.errors, [], name)
    const { spec } = document.toJS() as Manifest
    return spec?.template === undefined ? [] : [spec.template.spec]
  })
}

test('each container of the manifests runs without rights, within limits, on a file system that it cannot write', () => {
  for (const name of MANIFESTS) {
    const pods = podsOf(name)
    assert.equal(pods.length, 1, name)
    for (const pod of pods) {
      const user = { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 }
      assert.deepEqual(pod.securityContext, { ...user, seccompProfile: { type: 'RuntimeDefault' } }, name)
      for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
        assert.deepEqual(container.securityContext, {
          privileged: false,
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] }
        })
        assert.deepEqual(container.resources?.limits, { cpu: '500m', memory: '512Mi' })
        const volumes = pod.volumes.map(volume => volume.name)
        for (const mount of container.volumeMounts) assert.ok(volumes.includes(mount.name), `${name}: ${mount.name}`)
      }
    }
  }
})

test('the client has the probes of the contract, a token of a Secret, and authorities where there are any', () => {
  const [pod] = podsOf('client.yaml')
  const [client] = pod?.containers ?? []
  assert.equal(client?.livenessProbe?.httpGet.path, '/v1/system/alive')
  assert.equal(client?.readinessProbe?.httpGet.path, '/v1/system/ready')
  const { token, ca } = Object.fromEntries((pod?.volumes ?? []).map(volume => [volume.name, volume]))
  assert.deepEqual(token, { name: 'token', secret: { secretName: 'treeline-client-token', defaultMode: 0o440 } })
  assert.equal(ca?.configMap?.optional, true)
})

test('the commands and options of the manifests are those of the program', async () => {
  const program = new Command('treeline')
  for (const { load } of COMMANDS) (await load()).register(program)
  for (const name of MANIFESTS) {
    for (const { containers, initContainers = [] } of podsOf(name)) {
      for (const { args = [] } of [...containers, ...initContainers]) {
        const command = program.commands.find(each => each.name() === args[0])
        if (args[0] === undefined || args[0].includes('\n')) continue // a script, which the documents' test reads
        assert.ok(command !== undefined, `${name}: ${args[0]}`)
        const options = args.slice(1).filter(word => word.startsWith('--'))
        assert.ok(options.length > 0)
        for (const option of options) {
          assert.ok(
            command.options.some(({ long }) => long === option.split('=')[0]),
            `${name}: ${option}`
          )
        }
      }
    }
  }
})

test('the image of the manifests is the one that the page builds, by the version of the program', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const image = `registry.example.com/treeline:${version}`
  for (const name of MANIFESTS) {
    for (const { containers, initContainers = [] } of podsOf(name)) {
      for (const container of [...containers, ...initContainers]) assert.equal(container.image, image, name)
    }
  }
  for (const file of ['docs/kubernetes.md', 'deploy/container/Dockerfile']) {
    const text = readFileSync(join(ROOT, file), 'utf8')
    assert.ok(text.includes(`docker build --file deploy/container/Dockerfile --tag ${image} .`), file)
    assert.ok(text.includes(`docker push ${image}`), file)
  }
})
