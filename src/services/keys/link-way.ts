import type { FramedStream } from '../../links/streams/framed-stream.js'
import type { UpperLink } from '../../links/upper/upper-link.js'
import type { ServiceWay } from './replica.js'

/** The way over a link that the other side opened: streams on its stream connection. */
export class LinkWay implements ServiceWay {
  constructor(
    readonly name: string,
    private readonly link: UpperLink
  ) {}

  get isOpen(): boolean {
    return this.link.isOpen
  }

  get streams(): number {
    return this.link.streamLane.connection?.count ?? 0
  }

  open(payload: Buffer): FramedStream | Promise<FramedStream> {
    const { streamLane } = this.link
    const { connection } = streamLane
    return connection === undefined ? streamLane.get().then(opened => opened.open(payload)) : connection.open(payload)
  }
}
