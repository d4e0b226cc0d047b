import type { ConnectionOptions } from 'node:tls'
import type { Fields } from '../http1/fields.js'

/** The head of a request as the service would get it without credentials. */
export interface OutgoingHead {
  readonly method: string
  /** The path at the service, behind the path of its base URL, and the query; or `*`. */
  readonly target: string
  /** `Host` among them, and no field that frames the body. */
  readonly fields: Fields
}

/** The change that credentials make to a head. */
export interface HeadChange {
  /**
   * Names in lower case. Fields of the caller with one of them do not reach the service, whether they have `-` or `_`:
   * CGI and WSGI read both as one.
   */
  readonly removed: ReadonlySet<string>
  readonly added: Fields
}

/**
 * The credentials that the process beside a service adds to the requests for it. They stay in this process: no message
 * or log line has them, and nothing that is sent upward.
 */
export interface EdgeCredentials {
  /**
   * Finds the change for a request, before a connection is taken for it.
   * @throws {CredentialsError} (or rejects with it) while there are none: the service does not get the request then
   */
  changeFor(head: OutgoingHead): HeadChange | Promise<HeadChange>
  /**
   * The options for TLS to the service, asked for once there is a change for a request. Another object once they have changed:
   * connections that were opened with the former one serve no further request.
   */
  tls(): ConnectionOptions
  /**
   * Called when the service has answered 401: looks at once whether there are other credentials.
   * @param change that of the refused request
   * @returns whether the same request would get other ones now. Does not reject
   */
  refused(change: HeadChange): boolean | Promise<boolean>
  /** Stops looking for changes. */
  close(): void
}

/** There are no credentials that can be used. The message is shown to callers: it has no secret. */
export class CredentialsError extends Error {
  override name = 'CredentialsError'
}

export const NO_CHANGE: HeadChange = { removed: new Set(), added: [] }
