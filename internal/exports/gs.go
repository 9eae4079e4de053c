//go:build gs

package exports

import _ "gocloud.dev/blob/gcsblob" // gs://; not verified against the service
