import { run } from './child.js'

/**
 * Sends a PUT as agents do, with curl.
 * @param url of a shared file, with its ttl
 * @throws {Error} for any status but 200
 */
export async function putFile(url: string, bodyFile: string): Promise<void> {
  const options = ['--silent', '--show-error', '--insecure', '--http1.1', '--write-out', '%{http_code} ']
  // Without the wait for `100 Continue`, which is a second where a server does not know it.
  const headers = ['--header', 'Content-Type: application/octet-stream', '--header', 'Expect:']
  const answer = await run('curl', [...options, ...headers, '--upload-file', bodyFile, url])
  if (!answer.trim().endsWith('200')) throw new Error(`PUT ${url}: ${answer}`)
}
