package exports

import _ "gocloud.dev/blob/s3blob" // s3:// is in every build
