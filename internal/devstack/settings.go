package devstack

import (
	"maps"
	"slices"
	"strings"
)

// common settings of every server: reached through the socket, by its own user.
var common = map[string]string{
	"listen_addresses": "",
	// Below the data folder: in /dev/shm a killed server's segments would stay, and a
	// container has little room there.
	"dynamic_shared_memory_type": "mmap",
	"port":                       Port,
	"unix_socket_permissions":    "0700",
	"max_connections":            "200",
	"log_line_prefix":            "%m [%p] ",
	"log_timezone":               "UTC",
	"timezone":                   "UTC",
}

// durable settings keep every commit through a power cut. The log is kept and written
// over rather than made anew, which a commit would wait for.
var durable = map[string]string{
	"fsync":              "on",
	"synchronous_commit": "on",
	"full_page_writes":   "on",
	"shared_buffers":     "256MB",
	"max_wal_size":       "2GB",
	"min_wal_size":       "1GB",
	"checkpoint_timeout": "15min",
}

// fleeting settings lose the data in a power cut, not when the server is killed,
// and write as little log as PostgreSQL allows. For tests. A commit still writes its
// log to the operating system, which costs microseconds.
var fleeting = map[string]string{
	"fsync":              "off",
	"synchronous_commit": "on",
	"full_page_writes":   "off",
	"shared_buffers":     "64MB",
	"wal_level":          "minimal",
	"max_wal_senders":    "0",
}

// settingArgs returns the settings as arguments of postgres, sorted by name; later
// maps win. They stand on the command line, where nothing in the data folder can
// contradict them.
func settingArgs(layers ...map[string]string) []string {
	merged := make(map[string]string)
	for _, layer := range layers {
		maps.Copy(merged, layer)
	}
	var args []string
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		args = append(args, "-c", name+"="+merged[name])
	}
	return args
}

// quotedDir writes a folder the way unix_socket_directories lists them.
func quotedDir(dir string) string {
	return `"` + strings.ReplaceAll(dir, `"`, `""`) + `"`
}
