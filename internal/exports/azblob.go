//go:build azblob

package exports

import _ "gocloud.dev/blob/azureblob" // azblob://; not verified against the service
