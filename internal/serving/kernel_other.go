//go:build !linux

package serving

// refuseNew is Linux's: elsewhere a connection that came in at the last moment may
// be reset.
func (d *door) refuseNew() bool { return false }

func (d *door) queued() uint32 { return 0 }

func (c *conn) unread() bool { return false }
