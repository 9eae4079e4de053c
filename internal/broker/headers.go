package broker

import (
	"strings"

	"github.com/nats-io/nats.go"
)

// msgIDHeader carries a message's id; JetStream drops a second one with the same id.
const msgIDHeader = nats.MsgIdHdr

// outgoing returns the headers of a message. Names that steer the server (Nats-*:
// expected sequences, rollups, lifetimes) or that are no header names are left out.
func outgoing(msgID string, header map[string]string) nats.Header {
	h := make(nats.Header, len(header)+1)
	for name, value := range header {
		if harmless(name) {
			h[name] = []string{value}
		}
	}
	if msgID != "" {
		h[msgIDHeader] = []string{msgID}
	}
	return h
}

// incoming returns a message's id and its metadata. A header with several values
// gives its first.
func incoming(h nats.Header) (msgID string, metadata map[string]string) {
	metadata = make(map[string]string, len(h))
	for name, values := range h {
		switch {
		case len(values) == 0:
		case name == msgIDHeader:
			msgID = values[0]
		case harmless(name):
			metadata[name] = values[0]
		}
	}
	return msgID, metadata
}

// harmless reports whether name is a header name that means nothing to NATS.
func harmless(name string) bool {
	for _, r := range name {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && !('0' <= r && r <= '9') && r != '-' && r != '_' && r != '.' {
			return false
		}
	}
	return name != "" && !(len(name) >= 5 && strings.EqualFold(name[:5], "Nats-"))
}
