import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse, problemsOf, ROOT } from '../support/config-texts.js'

const URL = 'url = "https://a"\n'
const credentials = (type: string) => {
  const more = type === 'header' ? 'header = "X-A"\n' : ''
  return `[service.credentials]\ntype = "${type}"\nfile = "secret"\n${more}`
}
const section = (lines: string) => `${ROOT}[[service]]\nkey = "a"\n${lines}`
const problem = (lines: string) => problemsOf(section(lines)).join('\n')

const AWS = 'aws_region = "eu-central-1"\naws_service = "s3"\n'
const ALL = ['bearer', 'token', 'basic', 'header', 'client_certificate', 'aws']

for (const [type, taken, more] of [
  ['http', ['bearer', 'token', 'basic', 'header', 'client_certificate'], ''],
  ['x-wiki', ['bearer', 'token', 'basic', 'header', 'client_certificate'], ''],
  ['jenkins', ['bearer', 'token', 'basic', 'client_certificate'], ''],
  ['clouddriver', ['bearer', 'token', 'basic', 'client_certificate'], ''],
  ['front50', ['bearer', 'token', 'basic', 'client_certificate'], ''],
  ['fiat', ['bearer', 'token', 'basic', 'client_certificate'], ''],
  ['argocd', ['bearer'], ''],
  ['kubernetes', ['bearer', 'basic', 'client_certificate'], ''],
  ['aws', ['aws'], AWS]
] as const) {
  test(`a service of type ${type} takes ${taken.join(', ')}, and other credentials are a problem`, () => {
    const accepted = ALL.filter(kind => problem(`type = "${type}"\n${URL}${more}${credentials(kind)}`) === '')
    assert.deepEqual(accepted, taken)
    const [other = ''] = ALL.filter(kind => !taken.some(one => one === kind))
    const message = problem(`type = "${type}"\n${URL}${more}${credentials(other)}`)
    assert.match(message, new RegExp(`service\\[0\\]\\.credentials: a service of type ${type} takes .*, not ${other}$`))
  })
}

test('a type that is not known is a problem that lists those that are', () => {
  assert.match(
    problem(`type = "gitea"\n${URL}`),
    /expected http, argocd, aws, .*kubernetes, or one of your own.*got "gitea"/
  )
  assert.match(problem(`type = "constructor"\n${URL}`), /expected http/)
})

test('a cluster is reached by its service account, a kubeconfig or a url', () => {
  const cluster = (lines: string) => parse(section(`type = "kubernetes"\n${lines}`)).ownServices[0]?.cluster
  const folder = '/var/run/secrets/kubernetes.io/serviceaccount'
  assert.deepEqual(cluster(''), { kind: 'service-account', folder })
  assert.deepEqual(cluster('service_account = "/sa"'), { kind: 'service-account', folder: '/sa' })
  assert.deepEqual(cluster('kubeconfig = "/k"'), { kind: 'kubeconfig', file: '/k', context: undefined })
  assert.deepEqual(cluster('kubeconfig = "/k"\ncontext = "east"'), { kind: 'kubeconfig', file: '/k', context: 'east' })
  assert.equal(cluster(URL), undefined)
})

test('settings that would do nothing beside the way to a cluster are problems', () => {
  const of = (lines: string) => problem(`type = "kubernetes"\n${lines}`)
  assert.match(of(`${URL}kubeconfig = "/k"`), /kubeconfig: is given in place of url/)
  assert.match(of('context = "a"'), /context: is the name of a context in a kubeconfig/)
  assert.match(of('kubeconfig = "/k"\nservice_account = "/sa"'), /service_account: is given beside kubeconfig/)
  assert.match(of('ca_file = "a.pem"'), /ca_file: is for services with a url/)
  assert.match(of('insecure = true'), /insecure: is for services with a url/)
  assert.match(of(credentials('bearer')), /credentials: is for services with a url/)
  assert.match(of('kubeconfig = "/k"\ncontext = ""'), /context: expected the name/)
  assert.match(problem(`${URL}kubeconfig = "/k"`), /kubeconfig: is for type = "kubernetes" alone, and type is http/)
})

test('a service of AWS needs keys, a region and a name, and is asked by its own host', () => {
  const of = (lines: string) => problem(`type = "aws"\n${lines}`)
  assert.match(of(`${URL}${AWS}`), /credentials: missing: requests for AWS are signed with keys/)
  assert.match(of(`${URL}${credentials('aws')}`), /aws_region: missing/)
  assert.match(
    of(`${URL}aws_region = "EU"\naws_service = "s3"\n${credentials('aws')}`),
    /aws_region: expected a region/
  )
  assert.match(of(`${URL}${AWS}host = "keep"\n${credentials('aws')}`), /host: AWS answers to its own name alone/)
  assert.match(of(`${AWS}${credentials('aws')}`), /url: missing/)
  assert.match(problem(`${URL}${AWS}`), /aws_region: is for type = "aws" alone/)
})

test('a profile is that of a file with keys of AWS', () => {
  const keys = (lines: string) => `type = "aws"\n${URL}${AWS}[service.credentials]\n${lines}`
  const read = parse(section(keys('type = "aws"\nfile = "/f"\nprofile = "east"'))).ownServices[0]?.credentials
  assert.deepEqual(read, { type: 'aws', place: { kind: 'file', path: '/f' }, profile: 'east' })
  assert.match(problem(keys('type = "aws"\nenv = "AWS"\nprofile = "east"')), /profile: is for type = "aws" with a file/)
  assert.match(problem(`${URL}${credentials('bearer')}profile = "east"`), /profile: is for type = "aws"/)
})
