"""The window: Qt and pyqtgraph over the engine, never the other way round."""
