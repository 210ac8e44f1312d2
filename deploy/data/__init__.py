"""What the user names, as samples for a network.

photos/                        a folder of images; sub-folders alone are classes, sorted by name
photos/:mean=0.5,std=0.5       the same, normalized another way; ':crop=1' keeps what crop cuts off
samples.npz                    arrays named images or x, and if there are any labels or y
path/to/file.py:samples        what a callable in a file gives, one array or (array, label) a sample
package.module:samples:part=2  the same from an importable module, with arguments
fashion_mnist:test             10,000 labelled pictures of clothes; ':train' has 60,000
mnist:test                     10,000 labelled digits; ':train' has 60,000
photographs                    crops of the photographs in scikit-image and scikit-learn
"""

from groundspeed.deploy.data.catalog import load_data
from groundspeed.deploy.data.samples import Data

__all__ = ["Data", "load_data"]
