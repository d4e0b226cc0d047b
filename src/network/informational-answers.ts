import type { ClientRequest } from 'node:http'

/** Informational answers (1xx) to one request. Neither Node nor undici bounds them, and each begins a wait anew. */
export const MAX_INFORMATIONAL = 32

/** Counts the informational answers to one request. @returns takes the status of each, and gives an error where it is one too many */
export function countInformational(): (status: number | undefined) => Error | undefined {
  let count = 0
  return status => {
    count += 1
    if (count <= MAX_INFORMATIONAL) return undefined
    return new Error(`it gave more than ${MAX_INFORMATIONAL} informational answers (${status}) and none that counts`)
  }
}

/** Ends a request with too many of them, as the `onInfo` of undici's requests. */
export function endAtManyInformational(): (info: { readonly statusCode: number }) => void {
  const count = countInformational()
  return ({ statusCode }) => {
    const tooMany = count(statusCode)
    if (tooMany !== undefined) throw tooMany // undici aborts the request with it
  }
}

/** Ends a request of Node's own client with too many of them. */
export function boundInformational(request: ClientRequest): void {
  const count = countInformational()
  request.on('information', ({ statusCode }) => {
    const tooMany = count(statusCode)
    if (tooMany !== undefined) request.destroy(tooMany)
  })
}
