"""Files of a stage: opening layers, assets, images, colour spaces, UDIM tiles, .mtlx documents."""
