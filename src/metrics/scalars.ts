/** The single numbers that threads count: names in code and in Prometheus, and what they mean. */

type Kind = 'counter' | 'gauge'
export interface ScalarCounter {
  readonly metric: string
  readonly kind: Kind
  readonly help: string
}

/** Single numbers. The key is the name in code; `metric` the name in Prometheus. */
export const SCALARS = {
  packetsReceived: {
    metric: 'mirrorshard_source_packets_total',
    kind: 'counter',
    help: 'Packets (capture records or mirrored datagrams) taken from the source.',
  },
  bytesReceived: {
    metric: 'mirrorshard_source_bytes_total',
    kind: 'counter',
    help: 'Bytes of those packets as captured.',
  },
  packetsProcessed: {
    metric: 'mirrorshard_packets_processed_total',
    kind: 'counter',
    help: 'Packets fully processed: TCP segments reassembled, and packets without TCP to read.',
  },
  packetsOther: {
    metric: 'mirrorshard_packets_other_total',
    kind: 'counter',
    help: 'Processed packets without TCP (ARP, DNS, …) or filtered by --ports.',
  },
  packetsTruncated: {
    metric: 'mirrorshard_packets_truncated_total',
    kind: 'counter',
    help: 'Packets shorter than their IP header says: truncated by the mirror or the capture.',
  },
  packetsTruncatedHere: {
    metric: 'mirrorshard_packets_truncated_here_total',
    kind: 'counter',
    help: 'Packets whose mirrored datagram was longer than --datagram-bytes: truncated by mirrorshard itself, and not in mirrorshard_packets_truncated_total. They are processed as far as they go; those that end inside a header are dropped as datagramTruncated.',
  },
  fragmentsHeld: {
    metric: 'mirrorshard_fragments_held',
    kind: 'gauge',
    help: 'IP fragments waiting for the rest of their datagram. They count as received and not yet as processed.',
  },
  fragmentBytes: {
    metric: 'mirrorshard_fragment_store_bytes',
    kind: 'gauge',
    help: 'Bytes held in the fragment store.',
  },
  datagramsReassembled: {
    metric: 'mirrorshard_fragment_datagrams_total',
    kind: 'counter',
    help: 'Datagrams reassembled from IP fragments.',
  },
  geneveCriticalOptions: {
    metric: 'mirrorshard_geneve_critical_options_total',
    kind: 'counter',
    help: 'Unknown critical GENEVE options that were skipped.',
  },
  packetsDispatched: {
    metric: 'mirrorshard_dispatch_packets_total',
    kind: 'counter',
    help: 'TCP packets handed to a shard.',
  },
  shedRatio: {
    metric: 'mirrorshard_dispatch_shed_ratio',
    kind: 'gauge',
    help: 'Share of connections shed now, 0 to 1, at the most overloaded shard. Their packets are dropped with reason shed.',
  },
  ringBytes: { metric: 'mirrorshard_ring_used_bytes', kind: 'gauge', help: 'Bytes waiting in the rings.' },
  kernelDropped: {
    metric: 'mirrorshard_kernel_drops_total',
    kind: 'counter',
    help: 'Datagrams the kernel dropped because the receive buffer was full.',
  },
  kernelReassemblyFailed: {
    metric: 'mirrorshard_kernel_reassembly_failures_total',
    kind: 'counter',
    help: 'Fragmented IP datagrams that the kernel failed to reassemble since startup, in the whole network namespace (ReasmFails of /proc/net/snmp and snmp6). Mirrored ones among them never reached us and are in no other count. With --interface mirrorshard reassembles fragments itself.',
  },
  receiveBufferBytes: {
    metric: 'mirrorshard_receive_buffer_bytes',
    kind: 'gauge',
    help: 'Receive buffer granted by the kernel, for all sockets together.',
  },

  flowsOpened: { metric: 'mirrorshard_flows_opened_total', kind: 'counter', help: 'TCP connections seen.' },
  flowsOpen: { metric: 'mirrorshard_flows_open', kind: 'gauge', help: 'TCP connections in the flow table.' },
  flowsExpired: {
    metric: 'mirrorshard_flows_expired_total',
    kind: 'counter',
    help: 'Connections closed by the idle time-out.',
  },
  flowsEvicted: {
    metric: 'mirrorshard_flows_evicted_total',
    kind: 'counter',
    help: 'Open connections evicted because memory was short: half-open ones first, then those without data, then silent ones.',
  },
  flowsMultipath: {
    metric: 'mirrorshard_flows_multipath_total',
    kind: 'counter',
    help: 'Connections not read, or not read further, because they are one of several of a multipath TCP connection (RFC 8684).',
  },
  flowsRepeated: {
    metric: 'mirrorshard_flows_repeated_total',
    kind: 'counter',
    help: 'Second copies of connections, not read: with both initial sequence numbers of one that ended, or captured beside it with other numbers.',
  },
  flowTableBytes: {
    metric: 'mirrorshard_flow_table_bytes',
    kind: 'gauge',
    help: 'Memory of the flow table: the rows it has room for. It never shrinks.',
  },
  flowsLost: {
    metric: 'mirrorshard_flows_lost_total',
    kind: 'counter',
    help: 'Connections lost with a shard that died.',
  },
  flowsUnsettled: {
    metric: 'mirrorshard_flows_unsettled',
    kind: 'gauge',
    help: 'Connections that are open, or closed with requests still held: these are lost if the shard dies now.',
  },
  gaps: {
    metric: 'mirrorshard_reassembly_gaps_total',
    kind: 'counter',
    help: 'Gaps declared: bytes that will not arrive.',
  },
  gapBytes: { metric: 'mirrorshard_reassembly_gap_bytes_total', kind: 'counter', help: 'Bytes in those gaps.' },
  segmentBytes: {
    metric: 'mirrorshard_reassembly_bytes_total',
    kind: 'counter',
    help: 'Stream bytes delivered in order.',
  },
  segmentsOutOfOrder: {
    metric: 'mirrorshard_reassembly_out_of_order_total',
    kind: 'counter',
    help: 'Segments that had to wait for earlier bytes.',
  },
  segmentsDuplicate: {
    metric: 'mirrorshard_reassembly_duplicate_total',
    kind: 'counter',
    help: 'Segments that brought no new byte.',
  },
  segmentsWithoutAck: {
    metric: 'mirrorshard_reassembly_without_ack_total',
    kind: 'counter',
    help: 'Segments ignored because they carry no ACK flag: their receiver discards them (RFC 9293 section 3.10.7.4).',
  },
  segmentsAckUnsent: {
    metric: 'mirrorshard_reassembly_ack_unsent_total',
    kind: 'counter',
    help: 'Segments ignored because they acknowledge bytes that their peer was not seen to send (RFC 9293 section 3.10.7.4).',
  },
  segmentsAckOld: {
    metric: 'mirrorshard_reassembly_ack_old_total',
    kind: 'counter',
    help: 'Segments ignored because their acknowledgement is older than any window (RFC 5961 section 5.2).',
  },
  segmentsOldTimestamp: {
    metric: 'mirrorshard_reassembly_old_timestamp_total',
    kind: 'counter',
    help: 'Segments ignored because their timestamp is older than the last (PAWS, RFC 7323 section 5).',
  },
  segmentsOutOfWindow: {
    metric: 'mirrorshard_reassembly_out_of_window_total',
    kind: 'counter',
    help: 'Segments ignored because they are beyond the window of their receiver, or far from any possible window.',
  },
  segmentsUnsigned: {
    metric: 'mirrorshard_reassembly_signature_total',
    kind: 'counter',
    help: 'Segments ignored because they carry a TCP signature that their connection does not, or none where it does (RFC 2385, RFC 5925).',
  },
  segmentsSynData: {
    metric: 'mirrorshard_reassembly_syn_data_refused_total',
    kind: 'counter',
    help: 'SYNs whose data the server did not acknowledge (TCP Fast Open, RFC 7413).',
  },
  segmentsSynInWindow: {
    metric: 'mirrorshard_reassembly_syn_in_connection_total',
    kind: 'counter',
    help: 'SYNs in an open connection that do not belong to it: ignored until both sides have shown new sequence numbers (RFC 5961 section 4.2).',
  },
  resetsIgnored: {
    metric: 'mirrorshard_reassembly_resets_ignored_total',
    kind: 'counter',
    help: 'RSTs that their receiver ignores: not exactly at the next expected number (RFC 5961 section 3.2).',
  },
  overlapsDiffering: {
    metric: 'mirrorshard_reassembly_overlaps_differing_total',
    kind: 'counter',
    help: 'Overlaps in the out-of-order store whose bytes differ.',
  },
  outOfOrderBytes: {
    metric: 'mirrorshard_reassembly_out_of_order_bytes',
    kind: 'gauge',
    help: 'Bytes in the out-of-order store.',
  },
  resyncUnproven: {
    metric: 'mirrorshard_http_resync_unproven_bytes_total',
    kind: 'counter',
    help: 'Bytes skipped after a gap or a mid-stream start because no message boundary was proven.',
  },
  afterAmbiguous: {
    metric: 'mirrorshard_http_after_ambiguous_bytes_total',
    kind: 'counter',
    help: 'Bytes skipped because an ambiguous message ended HTTP on that direction.',
  },
  tunnelBytes: {
    metric: 'mirrorshard_http_tunnel_bytes_total',
    kind: 'counter',
    help: 'Bytes after an accepted CONNECT or upgrade.',
  },
  otherNetworkPackets: {
    metric: 'mirrorshard_reassembly_other_network_packets_total',
    kind: 'counter',
    help: 'Packets with the addresses and ports of an open connection that come from another network (VNI, VLAN tags) and do not fit it: two connections that --flow-key does not tell apart.',
  },
  behindCloseBytes: {
    metric: 'mirrorshard_http_behind_close_bytes_total',
    kind: 'counter',
    help: 'Bytes that clients sent after a Connection: close of either side, where no server reads a request (RFC 9112 section 9.6).',
  },
  unreadableConnections: {
    metric: 'mirrorshard_http_unreadable_connections_total',
    kind: 'counter',
    help: 'Connections whose client began with something other than an HTTP/1 request, although the server answered in HTTP/1.',
  },
  unaskedResponses: {
    metric: 'mirrorshard_http_unasked_responses_total',
    kind: 'counter',
    help: 'Final responses for which no request was read: it was lost, or was not recognised as one.',
  },
  otherProtocolBytes: {
    metric: 'mirrorshard_http_other_protocol_bytes_total',
    kind: 'counter',
    help: 'Bytes of connections that are not HTTP/1.',
  },

  connectionBytes: {
    metric: 'mirrorshard_http_connection_bytes',
    kind: 'gauge',
    help: 'Memory for the state of connections that carry data, and for requests remembered until their response arrives.',
  },
  messageBytes: {
    metric: 'mirrorshard_http_message_bytes',
    kind: 'gauge',
    help: 'Memory for messages being read, and with inspect for exchanges that wait for their response.',
  },
  exchangesEvicted: {
    metric: 'mirrorshard_exchanges_evicted_total',
    kind: 'counter',
    help: 'Exchanges that inspect printed without the whole response, because --message-bytes was reached.',
  },

  requestsParsed: {
    metric: 'mirrorshard_requests_parsed_total',
    kind: 'counter',
    help: 'Requests whose first line was recognised.',
  },
  requestsHeld: {
    metric: 'mirrorshard_requests_held',
    kind: 'gauge',
    help: 'Requests being parsed, queued or in flight.',
  },
  requestsForwarded: {
    metric: 'mirrorshard_requests_forwarded_total',
    kind: 'counter',
    help: 'With several targets: complete requests handed to them. What became of each is counted by target.',
  },
  requestBodyBytes: {
    metric: 'mirrorshard_request_body_bytes_total',
    kind: 'counter',
    help: 'Transfer-decoded body bytes of complete requests.',
  },
  responsesParsed: {
    metric: 'mirrorshard_responses_parsed_total',
    kind: 'counter',
    help: 'Captured responses whose status line was recognised.',
  },
  responsesCompleted: {
    metric: 'mirrorshard_responses_completed_total',
    kind: 'counter',
    help: 'Captured responses read to their end.',
  },
  responsesHeld: { metric: 'mirrorshard_responses_held', kind: 'gauge', help: 'Captured responses being read.' },

  replayQueued: {
    metric: 'mirrorshard_replay_queued',
    kind: 'gauge',
    help: 'Requests waiting for their turn or for a connection.',
  },
  replayQueuedBytes: {
    metric: 'mirrorshard_replay_queued_bytes',
    kind: 'gauge',
    help: 'Memory held by queued and in-flight requests.',
  },
  replayInFlight: {
    metric: 'mirrorshard_replay_in_flight',
    kind: 'gauge',
    help: 'Requests written and not yet answered.',
  },
  replayConnections: {
    metric: 'mirrorshard_replay_connections_total',
    kind: 'counter',
    help: 'Connections opened to the origin.',
  },
  replayRetries: {
    metric: 'mirrorshard_replay_retries_total',
    kind: 'counter',
    help: 'Requests sent again: idempotent ones, on a reused connection that closed before any byte of an answer.',
  },
  replayPoisoned: {
    metric: 'mirrorshard_replay_poisoned_connections_total',
    kind: 'counter',
    help: 'Connections closed because the origin sent bytes that answer no request (--engine wire).',
  },
  replayBodyBytes: {
    metric: 'mirrorshard_replay_response_bytes_total',
    kind: 'counter',
    help: 'Body bytes of the origin\u2019s answers.',
  },
  circuitOpened: {
    metric: 'mirrorshard_replay_circuit_opened_total',
    kind: 'counter',
    help: 'Times the circuit breaker opened.',
  },
  circuitOpen: {
    metric: 'mirrorshard_replay_circuit_open',
    kind: 'gauge',
    help: 'Shards whose circuit breaker is open now.',
  },
  latencySumUs: {
    metric: 'mirrorshard_replay_latency_microseconds_sum',
    kind: 'counter',
    help: 'Sum of the latencies of answered requests.',
  },
  addedLatencySumUs: {
    metric: 'mirrorshard_replay_added_latency_microseconds_sum',
    kind: 'counter',
    help: 'Sum of the added latencies of live requests.',
  },
  heapBytes: {
    metric: 'mirrorshard_thread_heap_bytes',
    kind: 'gauge',
    help: 'JavaScript heap in use, by thread, sampled once a second.',
  },
  externalBytes: {
    metric: 'mirrorshard_thread_external_bytes',
    kind: 'gauge',
    help: 'Memory outside the heap that the thread’s objects hold: buffers.',
  },
} as const satisfies Readonly<Record<string, ScalarCounter>>

export type ScalarName = keyof typeof SCALARS
